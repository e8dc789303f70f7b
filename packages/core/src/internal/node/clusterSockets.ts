/**
 * Sockets between owners and workers. Both sides prove who they are before a byte is read: by a secret that all share,
 * or by certificates of one authority.
 */
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import * as NodeSocketServer from "@effect/platform-node/NodeSocketServer"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Socket from "effect/socket/Socket"
import * as crypto from "node:crypto"
import * as tls from "node:tls"
import type { ClusterSecurity } from "../../cluster.ts"
import type { Connect } from "../cluster/registry.ts"
import type { Disconnected, Wire } from "../cluster/wire.ts"
import { wireOf } from "./lineSocket.ts"

/** How long a connection may take to open. */
const openMillis = 5000
/** A connection on which nothing moves for so long is over. */
const stuckMillis = 15_000
/** Least length of a secret. */
const leastCharacters = 32

/** Small messages go both ways, so none waits for the receipt of the one before. */
const eager = { minVersion: "TLSv1.3", noDelay: true } as const

/** Name under which the secret is used, as TLS has keys of several names. */
const identity = "fanout"

/** TLS with a key that both sides have (RFC 8446, section 2.2). An exchange of keys keeps old messages secret. */
const sharedKey = (secret: Redacted.Redacted) => {
  const text = Redacted.value(secret)
  if (text.length < leastCharacters) {
    const needs = `It needs ${leastCharacters} random ones: \`openssl rand -base64 32\` prints a secret`
    throw new RangeError(`The secret of the cluster has ${text.length} characters. ${needs}`)
  }
  const psk = crypto.createHash("sha256").update(`fanout cluster ${text}`).digest()
  return { psk, ciphers: "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256" }
}

const clientOptions = (security: ClusterSecurity): tls.ConnectionOptions => {
  if ("secret" in security) {
    const { ciphers, psk } = sharedKey(security.secret)
    return {
      ciphers,
      pskCallback: () => ({ psk, identity }),
      // A server without the secret can show a certificate instead, and many authorities would vouch for that.
      ca: [],
      checkServerIdentity: () => new Error("It has a certificate, and not the secret")
    }
  }
  const { ca, certificate, key, name } = security
  return { ca, cert: certificate, key: Redacted.value(key), ...name === undefined ? {} : { servername: name } }
}

const serverOptions = (security: ClusterSecurity): tls.TlsOptions => {
  if ("secret" in security) {
    const { ciphers, psk } = sharedKey(security.secret)
    return { ciphers, pskCallback: (_, given) => given === identity ? psk : null }
  }
  const { ca, certificate, key } = security
  return { ca, cert: certificate, key: Redacted.value(key), requestCert: true, rejectUnauthorized: true }
}

/**
 * Opens a connection, which ends with its scope: Effect's own waits until the other side has read everything, and keeps
 * the process from its end where that is frozen.
 */
const open = (options: tls.ConnectionOptions) =>
  Effect.acquireRelease(
    Effect.sync(() => tls.connect(options)),
    (socket) => Effect.sync(() => socket.destroy())
  ).pipe(Effect.tap((socket) =>
    Effect.callback<void, Socket.SocketError>((resume) => {
      socket.once("secureConnect", () => resume(Effect.void))
      socket.on("error", (cause) => {
        resume(Effect.fail(new Socket.SocketError({ reason: new Socket.SocketOpenError({ kind: "Unknown", cause }) })))
      })
    })
  ))

/** How to connect to workers. */
export const connector = (security: ClusterSecurity): Connect => {
  const options = { ...clientOptions(security), ...eager }
  const secureContext = tls.createSecureContext(options)
  return ({ host, port }) =>
    NodeSocket.fromDuplex(open({ ...options, secureContext, host, port }), { openTimeout: openMillis }).pipe(
      Effect.flatMap(wireOf)
    )
}

/** Nobody else ends a connection that is to end, and of which the other side reads nothing. */
const endIfStuck = Effect.map(
  Effect.serviceOption(NodeSocket.NetSocket),
  Option.map((socket) => socket.setTimeout(stuckMillis, () => socket.destroy()))
)

/** Listens for owners until the scope closes, and serves each of them by itself. */
export const listen = Effect.fnUntraced(function*(
  security: ClusterSecurity,
  address: { readonly host: string; readonly port: number },
  serve: (wire: Wire) => Effect.Effect<void, Disconnected>
) {
  const options = { ...serverOptions(security), ...eager, ...address, handshakeTimeout: openMillis }
  const server = yield* NodeSocketServer.makeTls(options)
  const served = (socket: Socket.Socket) =>
    Effect.andThen(endIfStuck, Effect.flatMap(wireOf(socket), serve)).pipe(
      Effect.scoped,
      // An owner that connects again tells of the end itself.
      Effect.catch((error) => Effect.logDebug(`A connection of an owner is over: ${error.why}`))
    )
  yield* Effect.forkScoped(server.run(served))
})
