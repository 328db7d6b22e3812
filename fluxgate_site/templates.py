"""Templates as they are served: without the indentation that only their authors read, a twentieth of a page's bytes."""

import re

from django.template import Origin
from django.template.loaders import filesystem

_INDENTATION = re.compile(r"\n[ \t]+")


class Loader(filesystem.Loader):
    """The project's templates, stripped once, when they are read. Lines stay lines: errors name the right ones."""

    def get_contents(self, origin: Origin) -> str:
        """The template's text; raises TemplateDoesNotExist."""
        return _INDENTATION.sub("\n", str(super().get_contents(origin)))
