"""DVC: its files, its program in a workspace, and what a repository of its users refers to."""
