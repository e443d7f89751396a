"""The school: from transcripts to a judged, exported student."""
