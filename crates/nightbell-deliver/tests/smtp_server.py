"""A real mail server for the tests: aiosmtpd, told by the recipient's name how to behave.

    smtp_server.py [--port N] [--tls CERT KEY] [--implicit-tls] [--user NAME --password TEXT]

Prints one JSON object a line: {"event": "ready", "port": N}, {"event": "connect"}, {"event": "mail", ...}.
Recipients: greylisted@ 451 at RCPT, unknown@ 550 at RCPT, later@ 451 and never@ 554 after DATA, login@ 530 at RCPT,
hang@ never answers; everybody else is taken.
"""

import argparse
import asyncio
import json
import ssl

from aiosmtpd.smtp import SMTP, AuthResult


def tell(**event):
    print(json.dumps(event), flush=True)


class Behaviour:
    AT_RCPT = {
        "greylisted": "451 4.7.1 come back later",
        "unknown": "550 5.1.1 no such user here",
        "login": "530 5.7.0 authentication required",
    }
    AFTER_DATA = {"later": "451 4.3.0 disk is busy", "never": "554 5.7.1 not wanted"}

    async def handle_RCPT(self, server, session, envelope, address, options):
        name = address.split("@")[0]
        if name == "hang":
            await asyncio.sleep(3600)
        if name in self.AT_RCPT:
            return self.AT_RCPT[name]
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server, session, envelope):
        name = envelope.rcpt_tos[0].split("@")[0]
        if name in self.AFTER_DATA:
            return self.AFTER_DATA[name]
        tell(
            event="mail",
            sender=envelope.mail_from,
            recipients=envelope.rcpt_tos,
            encrypted=server.transport.get_extra_info("sslcontext") is not None,
            user=getattr(session.auth_data, "login", b"").decode() if session.auth_data else None,
            content=envelope.content.decode("utf-8"),
        )
        return "250 2.0.0 taken"


class Login:
    """What the client logged in with."""

    def __init__(self, login):
        self.login = login


class Server(SMTP):
    def connection_made(self, transport):
        # After STARTTLS this is called again for the same client.
        if self._original_transport is None:
            tell(event="connect")
        super().connection_made(transport)


def authenticator(user, password):
    def check(server, session, envelope, mechanism, given):
        if (given.login, given.password) == (user.encode(), password.encode()):
            return AuthResult(success=True, auth_data=Login(given.login))
        # A careless server that repeats what it was sent.
        echo = given.password.decode()
        return AuthResult(success=False, handled=False, message=f"535 5.7.8 wrong password {echo}")

    return check


async def serve(arguments):
    context = None
    if arguments.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*arguments.tls)
    starttls = context if not arguments.implicit_tls else None
    check = authenticator(arguments.user, arguments.password) if arguments.user else None

    def session():
        return Server(
            Behaviour(),
            tls_context=starttls,
            require_starttls=starttls is not None,
            authenticator=check,
            auth_required=check is not None,
            auth_require_tls=starttls is not None,
            enable_SMTPUTF8=False,
            hostname="mail.test",
        )

    implicit = context if arguments.implicit_tls else None
    server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", arguments.port, ssl=implicit)
    tell(event="ready", port=server.sockets[0].getsockname()[1])
    await server.serve_forever()


parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, default=0)
parser.add_argument("--tls", nargs=2)
parser.add_argument("--implicit-tls", action="store_true")
parser.add_argument("--user")
parser.add_argument("--password")
asyncio.run(serve(parser.parse_args()))
