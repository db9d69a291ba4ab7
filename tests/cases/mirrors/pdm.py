"""`config.toml` files of pdm as people have them."""

# ruff: noqa: E501

from __future__ import annotations

from cases.mirrors.marked import cases

_OLD = "<https://old.test/simple => @p@>"
_BODIES = {
    "empty": '< => [pypi]\nurl = "@p@"\n>',
    "as pdm config writes it": f'[pypi]\nurl = "{_OLD}"\n',
    "nothing to do": '[pypi]\nurl = "@p@"\n',
    "other settings of the table": f'[pypi]\nverify_ssl = true\nurl = "{_OLD}" # fast\nusername = "me"\n',
    "table without the key": '[pypi]\n< => url = "@p@"\n>verify_ssl = true\n',
    "table without the key, indented": '[pypi]\n< =>   url = "@p@"\n>  # mine\n  verify_ssl = true\n',
    "empty table": '[pypi]\n< => url = "@p@"\n>',
    "other tables": '[venv]\nin_project = true\n\n[python]\nuse_venv = true\n< => \n[pypi]\nurl = "@p@"\n>',
    "dotted": f'pypi.url = "{_OLD}"\npypi.verify_ssl = false\n',
    "dotted without the key": 'check_update = false\n< => pypi.url = "@p@"\n>pypi.verify_ssl = false\n\n[venv]\nin_project = true\n',
    "inline": f'pypi = {{ verify_ssl = true, url = "{_OLD}" }}\n',
    "inline without the key": 'pypi = {< =>  url = "@p@",> verify_ssl = true }\n',
    "source of a name": '[pypi.corp]\nurl = "https://corp.test/simple"\n< => \n[pypi]\nurl = "@p@"\n>',
    "table and source of a name": f'[pypi]\nurl = "{_OLD}"\n\n[pypi.corp]\nurl = "https://corp.test/simple"\n',
    "quotes around keys": f'["pypi"]\n"url" = \'{_OLD}\'\n',
    "publishing": f'check_update = false\n\n[repository.corp]\nurl = "https://corp.test"\n\n[pypi]\nurl = "{_OLD}"\n',
    "comments": f'# pdm 的配置\n\n[pypi] # where from\n# the index\nurl = "{_OLD}"\n# the end\n',
}
CASES = list(cases(_BODIES))
