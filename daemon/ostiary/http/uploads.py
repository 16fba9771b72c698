"""Form uploads, held in memory: a face must not lie about in temporary files."""

from dataclasses import dataclass

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from ostiary.errors import RequestMalformed


@dataclass(frozen=True, slots=True)
class FaceForm:
    """The first version's form: a name and a picture. None where a field is not there."""

    username: str | None
    file: bytes | None


async def face_form(request: Request, limit: int) -> FaceForm:
    """Read a multipart form with `username` and `file`. The body's size is limited already.

    Raises RequestMalformed when it is not such a form.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise RequestMalformed("Send a multipart/form-data form with `username` and `file`.")
    parser = MultiPartParser(
        request.headers, request.stream(), max_files=1, max_fields=4, max_part_size=limit
    )
    parser.spool_max_size = limit + 1
    try:
        form = await parser.parse()
    except (MultiPartException, UnicodeDecodeError, KeyError, ValueError) as error:
        raise RequestMalformed("The form is damaged; send multipart/form-data anew.") from error
    try:
        username, file = form.get("username"), form.get("file")
        return FaceForm(
            username if isinstance(username, str) else None,
            await file.read() if isinstance(file, UploadFile) else None,
        )
    finally:
        await form.close()
