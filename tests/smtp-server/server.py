"""A mail server for tests: aiosmtpd, which takes what it is sent and prints it, a line of JSON each.

The first line is its port. The recipient decides what happens: unknown@ is refused, busy@ is put off, slow@ is never
answered."""

import argparse
import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if address.startswith("unknown@"):
            return f"550 there is no {address} here"
        if address.startswith("busy@"):
            return "451 come back later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if any(address.startswith("slow@") for address in envelope.rcpt_tos):
            await asyncio.sleep(3600)
        protected = session.ssl is not None or server.transport.get_extra_info("ssl_object") is not None
        print(json.dumps({
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": protected,
            "signed_in": bool(session.authenticated),
            "data": envelope.original_content.decode("utf-8"),
        }), flush=True)
        return "250 OK"


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tls", choices=["none", "starttls", "tls"], default="none")
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--silent", action="store_true", help="take connections and say nothing")
    args = parser.parse_args()

    context = None
    if args.tls != "none":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(args.cert, args.key)

    def authenticate(server, session, envelope, mechanism, data):
        right = data.login == (args.user or "").encode() and data.password == (args.password or "").encode()
        return AuthResult(success=right, handled=right)

    def session():
        if args.silent:
            return asyncio.Protocol()
        return SMTP(
            Handler(),
            hostname="mail.test",
            tls_context=context if args.tls == "starttls" else None,
            require_starttls=args.tls == "starttls",
            authenticator=authenticate,
            auth_required=args.user is not None,
            auth_require_tls=args.tls == "starttls",
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(session, "127.0.0.1", 0, ssl=context if args.tls == "tls" else None)
    print(server.sockets[0].getsockname()[1], flush=True)
    # Ends with the test: its end of the pipe closes.
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
