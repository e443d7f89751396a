"""Recall measured on published questions over long conversations, through the product's own recall."""
