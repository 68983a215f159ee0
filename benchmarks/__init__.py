"""What is measured, as programs that print ratios against a minimal Streamlit app in the same run."""
