"""Steps in the sequence of their numbers. A step that was released is never changed, another one is added."""
