"""The small real web site of the lab: one page that shows a table read from the database at each request.

Runs as www-data on [::]:80, both families. Reads /etc/remedy-lab/site.json: {"host", "user", "password", "database"}.
The page's frame is /srv/site/page.html with {rows} and {host} in it; defacing the site means replacing that file.
"""

from __future__ import annotations

import html
import http.server
import json
import os
import pwd
import socket
from pathlib import Path

import pymysql  # type: ignore[import-untyped]

PAGE = Path("/srv/site/page.html")
SETTINGS = Path("/etc/remedy-lab/site.json")


def rows() -> str:
    """The notices as table rows. Raises pymysql.Error when the database does not answer."""
    settings = json.loads(SETTINGS.read_text(encoding="utf-8"))
    connection = pymysql.connect(**settings, charset="utf8mb4", connect_timeout=2, read_timeout=2)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT number, title, issued FROM notice ORDER BY number")
        return "\n".join(
            "<tr>" + "".join(f"<td>{html.escape(str(value))}</td>" for value in row) + "</tr>"
            for row in cursor.fetchall()
        )


class Page(http.server.BaseHTTPRequestHandler):
    """Answers every GET with the page; 503 when the database is away."""

    timeout = 10

    def do_GET(self) -> None:
        """Send the page."""
        try:
            status, table = 200, rows()
        except (pymysql.Error, OSError) as error:
            status, table = 503, f"<tr><td>数据库无法访问 {html.escape(str(error))}</td></tr>"
        body = PAGE.read_text(encoding="utf-8").replace("{host}", socket.gethostname()).replace("{rows}", table)
        content = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class Server(http.server.ThreadingHTTPServer):
    """Dual stack."""

    address_family = socket.AF_INET6
    daemon_threads = True
    request_queue_size = 128


def main() -> None:
    """Bind as root, then serve as www-data."""
    server = Server(("::", 80), Page)
    account = pwd.getpwnam("www-data")
    os.initgroups(account.pw_name, account.pw_gid)
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    server.serve_forever()


if __name__ == "__main__":
    main()
