"""Takes in exams. Asks the attempt service whether the user may sit them once more."""
