"""What the lab's web site says: its page, its table, and the page an intruder puts there instead.

Decides texts only.
"""

from __future__ import annotations

__all__ = ["DEFACED_MARK", "DEFACED_PAGE", "PAGE", "database_script"]

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

_NOTICES = (
    (1, "关于开展网络安全应急演练的通知", "2024-03-01"),
    (2, "机房巡检安排", "2024-03-08"),
    (3, "数据库备份检查结果", "2024-03-15"),
    (4, "端午节值班表", "2024-06-07"),
    (5, "Backup restore drill: results", "2024-06-21"),
)


def database_script(password: str, networks: tuple[str, ...]) -> str:
    """The SQL mariadbd runs at each start (`--init-file`: one statement a line); a second run changes nothing.

    `networks` are account host patterns, for example `198.18.1.%`.
    """
    lines = [
        "CREATE DATABASE IF NOT EXISTS site CHARACTER SET utf8mb4;",
        "CREATE TABLE IF NOT EXISTS site.notice (number INT PRIMARY KEY, title VARCHAR(200) NOT NULL, issued DATE);",
    ]
    for number, title, day in _NOTICES:
        lines.append(f"INSERT IGNORE INTO site.notice VALUES ({number}, '{title}', '{day}');")  # noqa: S608 - own text
    for network in networks:
        lines.append(f"CREATE USER IF NOT EXISTS 'site'@'{network}' IDENTIFIED BY '{password}';")
        lines.append(f"GRANT SELECT, INSERT, UPDATE, DELETE ON site.* TO 'site'@'{network}';")
    return "\n".join(lines) + "\n"
