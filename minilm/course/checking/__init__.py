"""What a student's answer is asked, in the notebook and by the grader, and what was passed.

Called `checking`, because `minilm.course.check` is the function that students press.
"""
