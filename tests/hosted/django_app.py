"""Django's part of ``test_frameworks``."""

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.urls import clear_url_caches, path, reverse

urlpatterns = []


def make(trial):
    async def hello(request):
        return HttpResponse("hello " + request.GET["name"])

    async def idle(request):
        assert request.body is not None  # all of it has been received by then
        return StreamingHttpResponse(trial.idle(), content_type="text/plain")

    async def failing(request):
        return StreamingHttpResponse(trial.failing(), content_type="text/plain")

    async def upload(request):
        while piece := request.read(65_536):
            trial.piece(piece)
        return HttpResponse(trial.received())

    async def named(request):
        return HttpResponse(b"named", headers={"X-Name": "é.bin".encode()})

    async def sent(request):
        return FileResponse(trial.file.open("rb"), as_attachment=True, filename="é.bin")

    async def here(request):
        return HttpResponse(reverse("here"))

    if not settings.configured:
        settings.configure(
            ROOT_URLCONF=__name__,
            SECRET_KEY="secret",
            ALLOWED_HOSTS=["*"],
            LOGGING_CONFIG=None,
            MIDDLEWARE=["django.middleware.common.CommonMiddleware", "django.middleware.gzip.GZipMiddleware"],
        )
        django.setup()
    urlpatterns[:] = [
        path(view.__name__, view, name=view.__name__) for view in (hello, idle, failing, upload, named, sent, here)
    ]
    clear_url_caches()
    return get_asgi_application()
