"""What became of a submission: points of tests, of questions, of a student's set."""

from dataclasses import dataclass, field

from minilm.course.checking.questions import ExerciseSet, Outcome, Question, Test
from minilm.course.grade.submissions import Submission


@dataclass
class TestResult:
    """One test of one student: the public outcome, and whether the hidden cases passed.

    `hidden` is a kind out of `COARSE` or "pass", never a text: texts may hold hidden inputs.
    """

    test: Test
    public: Outcome
    hidden: str | None = None
    secret: bool = False  # the whole test is the lecturer's

    @property
    def points(self) -> float:
        """All or nothing; partial credit is between tests."""
        return self.test.points if self.public.passed and self.hidden == "pass" else 0


@dataclass
class QuestionResult:
    """One question of one student."""

    question: Question
    tests: list[TestResult] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def points(self) -> float:
        return sum(test.points for test in self.tests)

    @property
    def most(self) -> float:
        return sum(result.test.points for result in self.tests)


@dataclass
class Grade:
    """One student's set."""

    submission: Submission
    exercise: ExerciseSet
    questions: list[QuestionResult]
    notes: list[str] = field(default_factory=list)

    @property
    def points(self) -> float:
        return sum(question.points for question in self.questions)

    @property
    def most(self) -> float:
        return sum(question.most for question in self.questions)
