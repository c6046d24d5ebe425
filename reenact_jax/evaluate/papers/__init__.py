"""Measures of single papers: landmark codes, transfer, references, mixing."""
