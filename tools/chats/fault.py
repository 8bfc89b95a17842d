"""What is wrong with arguments or input."""


class Fault(Exception):
    """Where, what and what to do, with an exit code of `tandem`: 2 arguments, 3 an input file."""

    def __init__(self, code, where, message):
        super().__init__(f"[{where}] {message}")
        self.code = code
