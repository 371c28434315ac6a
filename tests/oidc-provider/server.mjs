// An OpenID provider for the tests of single sign-on: the certified `oidc-provider`, with invented people.
//
//   node server.mjs [CONFIGURATION.json]
//
// The configuration, all of it optional:
//   port             0 (any free port) if not given
//   clients          [{ client_id, client_secret, redirect_uris, … }] as in OpenID Connect Dynamic Client Registration;
//                    a client without a secret needs "token_endpoint_auth_method": "none"
//   accounts         { id: claims }; below are those that exist if none are given
//   claimsInIdToken  true: e-mail and groups are in the ID token too (as most companies' providers do); false: userinfo only
//   tls              { certificate, key }: paths of PEM files; https instead of http
//
// Once it serves it prints one line, `listening ISSUER`. It ends when its standard input ends or on SIGTERM, so that no
// test leaves it behind.
//
// Who signs in: the account that the request's `login_hint` names, at once; without a hint a page asks (for browsers).
// Consent is given by itself. `login_hint=nobody` refuses, as a person does who presses Cancel. A browser that is signed in
// already goes on as the person it is, unless the request says `prompt=login`.
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

// The packages are installed outside of the source tree (NODE_MODULES), where an `import` does not look.
const packages = createRequire(`${process.env.NODE_MODULES ?? `${import.meta.dirname}/node_modules`}/`);
const { default: Provider } = await import(pathToFileURL(packages.resolve('oidc-provider')));

const configuration = process.argv[2] ? JSON.parse(readFileSync(process.argv[2], 'utf8')) : {};

const accounts = configuration.accounts ?? {
  ada: { email: 'ada@example.com', email_verified: true, name: 'Ada Administrator', groups: ['loyalty-admins'] },
  ben: { email: 'ben@example.com', email_verified: true, name: 'Ben Service', groups: ['loyalty-service', 'staff'] },
  // Says that she is Ada, and nobody has checked it.
  eve: { email: 'ada@example.com', email_verified: false, name: 'Eve', groups: [] },
};

const clients = configuration.clients ?? [
  {
    client_id: 'guerdon',
    client_secret: 'a-secret-of-the-tests-alone-0123456789',
    redirect_uris: ['http://127.0.0.1:8080/console/sign-in/callback'],
  },
];

const tls = configuration.tls;
const server = tls
  ? createHttpsServer({ cert: readFileSync(tls.certificate), key: readFileSync(tls.key) })
  : createHttpServer();
await new Promise((resolve, reject) => {
  server.once('error', reject);
  server.listen(configuration.port ?? 0, '127.0.0.1', resolve);
});
const issuer = `${tls ? 'https' : 'http'}://127.0.0.1:${server.address().port}`;

const signingKey = (kind, options, alg) => ({
  ...generateKeyPairSync(kind, options).privateKey.export({ format: 'jwk' }),
  use: 'sig', alg, kid: `${alg}-${Date.now()}`,
});

const provider = new Provider(issuer, {
  clients: clients.map((client) => ({
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    ...client,
  })),
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'],
    phone: ['phone_number', 'phone_number_verified'] },
  scopes: ['openid', 'offline_access', 'email', 'profile', 'groups', 'phone'],
  jwks: {
    keys: [
      signingKey('rsa', { modulusLength: 2048 }, 'RS256'),
      signingKey('ec', { namedCurve: 'P-256' }, 'ES256'),
    ],
  },
  ttl: { AccessToken: 600, AuthorizationCode: 60, Grant: 3600, IdToken: 600, Interaction: 600, RefreshToken: 3600, Session: 3600 },
  enabledJWA: { idTokenSigningAlgValues: ['RS256', 'ES256'] },
  conformIdTokenClaims: configuration.claimsInIdToken === false,
  pkce: { required: () => true },
  cookies: { keys: ['signs the cookies of a provider that only tests use'] },
  features: { devInteractions: { enabled: false }, rpInitiatedLogout: { enabled: true } },
  interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
  async findAccount(_context, id) {
    const claims = Object.hasOwn(accounts, id) ? accounts[id] : undefined;
    return claims && { accountId: id, claims: async () => ({ sub: id, ...claims }) };
  },
  async loadExistingGrant(context) {
    const { client, session, params } = context.oidc;
    const known = session.grantIdFor(client.clientId);
    const grant = (known && (await provider.Grant.find(known)))
      ?? new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope(params.scope ?? 'openid');
    await grant.save();
    return grant;
  },
});
provider.on('server_error', (_context, error) => console.error(error));

const escape = (text) => String(text).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

const page = (uid) => `<!doctype html><html lang="en"><title>Sign in · test provider</title><h1>Who are you?</h1>
<form method="post" action="/interaction/${escape(uid)}">
${Object.entries(accounts).map(([id, { name }]) =>
  `<p><button name="account" value="${escape(id)}">${escape(name ?? id)}</button>`).join('\n')}
<p><button name="account" value="nobody">Cancel</button></form></html>`;

async function bodyOf(request) {
  let text = '';
  for await (const chunk of request) {
    text += chunk;
    if (text.length > 10_000) throw new Error('the form is too long');
  }
  return new URLSearchParams(text);
}

async function interact(request, response) {
  const { uid, prompt, params } = await provider.interactionDetails(request, response);
  if (prompt.name !== 'login') throw new Error(`the prompt ${prompt.name} is not expected`);
  const account = request.method === 'POST' ? (await bodyOf(request)).get('account') : params.login_hint;
  if (account === undefined || account === null) {
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(page(uid));
  } else if (Object.hasOwn(accounts, account)) {
    await provider.interactionFinished(request, response, { login: { accountId: account, amr: ['pwd'] } });
  } else {
    const refusal = { error: 'access_denied', error_description: 'the person did not sign in' };
    await provider.interactionFinished(request, response, refusal, { mergeWithLastSubmission: false });
  }
}

const serve = provider.callback();
server.on('request', (request, response) => {
  if (!request.url.startsWith('/interaction/')) return serve(request, response);
  interact(request, response).catch((error) => {
    response.statusCode = 400;
    response.end(String(error.message));
  });
});

console.log(`listening ${issuer}`);
process.on('SIGTERM', () => process.exit(0));
process.stdin.on('end', () => process.exit(0)).resume();
