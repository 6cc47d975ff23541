"""What the lab's web site says: its page, its accounts on the database, and the page an intruder puts there instead.

Decides texts only.
"""

from __future__ import annotations

__all__ = ["DEFACED_MARK", "DEFACED_PAGE", "PAGE", "accounts_script"]

PAGE = """\
<!doctype html>
<html lang="zh-CN">
<head><meta charset="utf-8"><title>公告栏</title></head>
<body>
<h1>单位公告栏</h1>
<p>本页由 {host} 提供, 内容实时读取自数据库。</p>
<table><tr><th>编号</th><th>标题</th><th>日期</th></tr>
{rows}
</table>
</body>
</html>
"""

#: Found on the defaced page and nowhere else.
DEFACED_MARK = "本站已被入侵"

DEFACED_PAGE = f"""\
<!doctype html>
<html lang="zh-CN">
<head><meta charset="utf-8"><title>{DEFACED_MARK}</title></head>
<body style="background:black;color:red"><h1>{DEFACED_MARK}</h1><p>owned: {{host}}</p></body>
</html>
"""


def accounts_script(password: str, networks: tuple[str, ...]) -> str:
    """The SQL mariadbd runs at each start (`--init-file`: one statement a line); a second run changes nothing.

    `networks` are account host patterns, for example `198.18.1.%`.
    """
    lines = ["SET sql_log_bin = 0;"]
    for network in networks:
        lines.append(f"CREATE USER IF NOT EXISTS 'site'@'{network}' IDENTIFIED BY '{password}';")
        lines.append(f"GRANT SELECT, INSERT, UPDATE, DELETE, EXECUTE ON site.* TO 'site'@'{network}';")
    return "\n".join(lines) + "\n"
