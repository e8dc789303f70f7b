/**
 * Sockets between owners and workers. Both sides prove who they are before a byte is read: by a secret that all share,
 * or by certificates of one authority.
 */
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import * as NodeSocketServer from "@effect/platform-node/NodeSocketServer"
import * as Runners from "effect/cluster/Runners"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import { Socket } from "effect/socket/Socket"
import type { SocketServer, SocketServerError } from "effect/socket/SocketServer"
import * as crypto from "node:crypto"
import type { ClusterSecurity } from "../../cluster.ts"

/** How long a connection may take to open. */
const openMillis = 5000

/** Small messages go both ways, so none waits for the receipt of the one before. */
const eager = { minVersion: "TLSv1.3", noDelay: true } as const

/** Name under which the secret is used, as TLS has keys of several names. */
const identity = "fanout"

/** TLS with a key that both sides have (RFC 8446, section 2.2), by an exchange of keys that keeps old messages secret. */
const sharedKey = (secret: Redacted.Redacted) => {
  const psk = crypto.createHash("sha256").update(`fanout cluster ${Redacted.value(secret)}`).digest()
  return { psk, ciphers: "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256" }
}

const clientOptions = (security: ClusterSecurity) => {
  if ("secret" in security) {
    const { ciphers, psk } = sharedKey(security.secret)
    return { ciphers, pskCallback: () => ({ psk, identity }), checkServerIdentity: () => undefined }
  }
  const { ca, certificate, key, name } = security
  return { ca, cert: certificate, key: Redacted.value(key), ...name === undefined ? {} : { servername: name } }
}

const serverOptions = (security: ClusterSecurity) => {
  if ("secret" in security) {
    const { ciphers, psk } = sharedKey(security.secret)
    return { ciphers, pskCallback: (_: unknown, given: string) => given === identity ? psk : null }
  }
  const { ca, certificate, key } = security
  return { ca, cert: certificate, key: Redacted.value(key), requestCert: true, rejectUnauthorized: true }
}

/** Connects to runners. */
export const layerClient = (
  security: ClusterSecurity
): Layer.Layer<Runners.RpcClientProtocol, never, RpcSerialization.RpcSerialization> =>
  Layer.effect(
    Runners.RpcClientProtocol,
    Effect.gen(function*() {
      const serialization = yield* RpcSerialization.RpcSerialization
      return {
        codecFor: serialization.codecFor,
        make: Effect.fnUntraced(function*({ host, port }) {
          const options = { ...clientOptions(security), ...eager, host, port, openTimeout: openMillis }
          const socket = yield* NodeSocket.makeTls(options)
          return yield* RpcClient.makeProtocolSocket().pipe(
            Effect.provideService(Socket, socket),
            Effect.provideService(RpcSerialization.RpcSerialization, serialization)
          )
        })
      }
    })
  )

/** Listens for owners and other runners. */
export const layerServer = (
  security: ClusterSecurity,
  listen: { readonly host: string; readonly port: number }
): Layer.Layer<SocketServer, SocketServerError> =>
  NodeSocketServer.layerTls({ ...serverOptions(security), ...eager, ...listen })
