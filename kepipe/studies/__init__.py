"""Controlled comparisons: did the knowledge help, and how sure are we?"""
