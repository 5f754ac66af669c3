"""Two versions of code measured side by side: is one slower, or can that not be told?"""
