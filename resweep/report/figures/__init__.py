"""Figures for papers: each kind is a room that draws what was gathered, and tells what a caption should."""
