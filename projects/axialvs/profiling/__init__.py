"""How much work, time and memory a function or a model takes."""
