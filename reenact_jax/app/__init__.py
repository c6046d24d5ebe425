"""A page in the browser: a portrait, a driver or sliders, and the result beside them.

__main__.py is the command, page.py the page (Gradio), studio.py what happens behind it.
"""
