/**
 * Sockets between owners and workers. Both sides prove who they are before a byte is read: by a secret that all share,
 * or by certificates of one authority.
 */
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import * as NodeSocketServer from "@effect/platform-node/NodeSocketServer"
import * as Runners from "effect/cluster/Runners"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import { Socket, SocketError, SocketOpenError } from "effect/socket/Socket"
import { SocketServer, type SocketServerError } from "effect/socket/SocketServer"
import * as crypto from "node:crypto"
import * as tls from "node:tls"
import type { ClusterSecurity } from "../../cluster.ts"

/** How long a connection may take to open. */
const openMillis = 5000
/** Clients say something each 5 seconds. A connection that is silent for so long is over. */
const silentMillis = 15_000
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
    Effect.callback<void, SocketError>((resume) => {
      socket.once("secureConnect", () => resume(Effect.void))
      socket.on("error", (cause) => {
        resume(Effect.fail(new SocketError({ reason: new SocketOpenError({ kind: "Unknown", cause }) })))
      })
    })
  ))

/** Connects to runners. */
export const layerClient = (
  security: ClusterSecurity
): Layer.Layer<Runners.RpcClientProtocol, never, RpcSerialization.RpcSerialization> =>
  Layer.effect(
    Runners.RpcClientProtocol,
    Effect.gen(function*() {
      const serialization = yield* RpcSerialization.RpcSerialization
      const options = { ...clientOptions(security), ...eager }
      const secureContext = tls.createSecureContext(options)
      return {
        codecFor: serialization.codecFor,
        make: Effect.fnUntraced(function*({ host, port }) {
          const connection = open({ ...options, secureContext, host, port })
          const socket = yield* NodeSocket.fromDuplex(connection, { openTimeout: openMillis })
          return yield* RpcClient.makeProtocolSocket().pipe(
            Effect.provideService(Socket, socket),
            Effect.provideService(RpcSerialization.RpcSerialization, serialization)
          )
        })
      }
    })
  )

/** Nobody else ends the connection of an owner that is cut off, or reads no more. */
const endIfSilent = Effect.map(
  Effect.serviceOption(NodeSocket.NetSocket),
  Option.map((socket) => socket.setTimeout(silentMillis, () => socket.destroy()))
)

/** Listens for owners and other runners. */
export const layerServer = (
  security: ClusterSecurity,
  listen: { readonly host: string; readonly port: number }
): Layer.Layer<SocketServer, SocketServerError> =>
  Layer.effect(
    SocketServer,
    Effect.gen(function*() {
      const options = { ...serverOptions(security), ...eager, ...listen, handshakeTimeout: openMillis }
      const server = yield* NodeSocketServer.makeTls(options)
      return { ...server, run: (handler) => server.run((socket) => Effect.andThen(endIfSilent, handler(socket))) }
    })
  )
