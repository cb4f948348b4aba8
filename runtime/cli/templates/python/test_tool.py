import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "vendor"))

import tool
import tollgate_guest


class Greet(unittest.TestCase):
    def test_greets(self):
        self.assertEqual(tool.greet("Ada"), "Hello, Ada!")
        self.assertEqual(tool.greet("Ada", title="Dr."), "Hello, Dr. Ada!")

    def test_refuses_nobody(self):
        with self.assertRaises(tollgate_guest.ToolError) as raised:
            tool.greet(" ")
        self.assertEqual(raised.exception.code, "no-name")

    def test_as_the_host_calls_it(self):
        self.assertEqual(tollgate_guest.invoke("greet", '{"name": "Ada"}'), '"Hello, Ada!"')


if __name__ == "__main__":
    unittest.main()
