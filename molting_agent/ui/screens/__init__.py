"""The screens beside the chat, and the questions that stand over them: one a file."""
