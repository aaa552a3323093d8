"""Figures for papers: each kind is a module that draws what was gathered, and tells what a caption should."""
