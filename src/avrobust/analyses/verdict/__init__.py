"""Is a robust accuracy to be trusted?"""
