"""Extensions of mmengine: runner, hooks, loops, checkpoint writing and launching."""
