"""The screens, one file each, composed of components."""
