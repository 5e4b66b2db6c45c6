"""Who may see the pages under /ops/, and how their lists are read from the address."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from django import forms
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import BadRequest, PermissionDenied
from django.core.paginator import EmptyPage, Page, Paginator
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

ROWS_PER_PAGE = 50
Row = TypeVar("Row", bound=Model)
View = Callable[..., HttpResponse]


def staff_only(view: View) -> View:
    """Sends strangers to the sign-in and answers 403 to everyone else who is not staff; a BadRequest becomes a page."""

    @wraps(view)
    def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        if not request.user.is_staff:
            raise PermissionDenied
        try:
            response = view(request, *args, **kwargs)
        except BadRequest as error:
            context = {"problem": str(error), "back_to": reverse("ops"), "back_text": "Operations"}
            return render(request, "400.html", context, status=400)
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    return checked


def read_filter(form_class: type[forms.Form], request: HttpRequest) -> forms.Form:
    """The filled form; raises BadRequest (400) when the address asks for what there is not."""
    form = form_class(request.GET)
    if not form.is_valid():
        raise BadRequest("; ".join(f"{name}: {faults_of(form, name)}" for name in form.errors))
    return form


def faults_of(form: forms.Form, name: str) -> str:
    """What is wrong with one field, in one line."""
    return " ".join(str(fault) for fault in form.errors.get(name, ()))


def find(rows: QuerySet[Row], **lookup: str) -> Row:
    """The row, or 404; PostgreSQL would refuse a text with a NUL character."""
    if any("\x00" in value for value in lookup.values()):
        raise Http404
    return get_object_or_404(rows, **lookup)


def read_page(rows: Any, request: HttpRequest) -> Page[Any]:
    """The page that the address names; 404 past the end."""
    number = request.GET.get("page", "1")
    if not (number.isascii() and number.isdigit() and len(number) < 9):
        raise BadRequest("page: a number from 1 is expected.")
    try:
        return Paginator(rows, ROWS_PER_PAGE).page(int(number))
    except EmptyPage:
        raise Http404("There is no such page.") from None
