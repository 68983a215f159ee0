"""The minimal Streamlit apps that Viva is measured against."""
