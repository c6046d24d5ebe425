"""Points, images and motion as arrays: layouts, frames of heads, flows, layers."""
