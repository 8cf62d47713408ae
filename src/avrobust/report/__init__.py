"""Result files to tables; nothing here imports torch."""
