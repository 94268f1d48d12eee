"""A hook of MkDocs: what a page links to outside of docs/ comes along, so links work on the site, too.

A file is copied into the site below ``repository/``. A folder has no page there: its README takes its place,
and where there is none, the words stay without a link.
"""

import os.path
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

#: `[words](../place)`: only what goes up can leave docs/.
LINK = re.compile(r"\[([^\]]*)\]\((\.\.[^)#\s]*)\)")


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The page, with its links to outside led to copies. Raises PluginError for what is not there."""
    docs = Path(config.docs_dir)
    folder = (docs / page.file.src_uri).parent

    def inside(found: re.Match[str]) -> str:
        words, link = found.groups()
        target = Path(os.path.normpath(folder / link))
        if target.is_relative_to(docs):
            return found[0]
        if not target.exists():
            raise PluginError(f"{page.file.src_uri}: there is no {link}")
        if target.is_dir():
            target /= "README.md"
        if not target.exists():
            return words
        name = f"repository/{target.relative_to(docs.parent).as_posix()}"
        # MkDocs would make a page of its name, in the navigation of nothing.
        name = name.replace("README.md", "README.txt")
        if files.get_file_from_path(name) is None:
            files.append(File.generated(config, name, abs_src_path=str(target)))
        return f"[{words}]({os.path.relpath(docs / name, folder)})"

    return LINK.sub(inside, markdown)
