"""What every layer uses: console, random generators, atomic files, GPUs."""
