"""Access: who may do what in which scope, and the record of who was let in and who was not.

A principal is named like a scope and holds every right on the scope of its own name, nothing else. Grants and
boundaries open other scopes; both are entries, and the tables derived from them are what each operation of a principal
is checked against, in the transaction of the operation itself. The owner, who acts without a principal, is not checked.
"""
