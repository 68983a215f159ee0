"""The learner's memory and progress. No Streamlit, no torch, no clock: time is an argument."""
