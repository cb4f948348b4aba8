"""Unit tests of the tool, on the host: python3 -m unittest"""

import os
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "vendor"))

import tool  # noqa: E402
import tollgate_guest  # noqa: E402


def titles(text: str) -> list:
    return [(heading.level, heading.title, heading.line) for heading in tool.headings(text.splitlines())]


class Headings(unittest.TestCase):
    def test_both_styles(self):
        self.assertEqual(titles("# One #\ntext\nTwo\n---\n### Three\n#no"), [(1, "One", 1), (2, "Two", 3), (3, "Three", 5)])

    def test_none_in_code_or_lists(self):
        self.assertEqual(titles("```\n# a\n```\n~~~~\n# b\n```\n~~~~\n- item\n---\n    # c\n# d"), [(1, "d", 11)])


class Files(unittest.TestCase):
    def test_samples(self):
        files = tool.outline(os.path.join(HERE, "samples"), depth=2)
        self.assertEqual([os.path.basename(file.path) for file in files], ["guide.md", "notes.markdown"])
        self.assertEqual([heading.title for heading in files[0].headings], ["Keeping bees", "The hive", "The year"])

    def test_empty_folder(self):
        with tempfile.TemporaryDirectory() as folder, self.assertLogs("tool", "DEBUG") as logs:
            self.assertEqual(tool.outline(folder), [])
        self.assertIn(folder, logs.output[0])

    def test_errors(self):
        for arguments, code in [('{"path": "/nowhere.md"}', "not-found"), ('{"path": "a", "depth": 7}', "invalid-arguments")]:
            with self.assertRaises(tollgate_guest.ToolError) as raised:
                tollgate_guest.invoke("outline-file", arguments)
            self.assertEqual(raised.exception.code, code)


if __name__ == "__main__":
    unittest.main()
