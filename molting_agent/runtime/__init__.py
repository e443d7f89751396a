"""A model that talks and scores: the worker process, its client, model files, chat template and prompt."""
