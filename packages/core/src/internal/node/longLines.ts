/**
 * Messages as lines of JSON, of which some are long.
 */
import * as Layer from "effect/Layer"
import * as RpcSerialization from "effect/rpc/RpcSerialization"

const newline = 10

/**
 * Layer of Effect's serialization by lines, which gathers the parts of a line before it reads them. By itself, it looks
 * for the end of a line from its beginning with each part: 16 MiB took 2 s. A connection with a longer line is ended.
 */
export const layer = (maxBufferSize: number): Layer.Layer<RpcSerialization.RpcSerialization> =>
  Layer.sync(RpcSerialization.RpcSerialization, () => {
    const lines = RpcSerialization.makeNdjson({ maxBufferSize })
    return {
      ...lines,
      makeUnsafe: () => {
        const parser = lines.makeUnsafe()
        let parts: Array<Uint8Array> = []
        let size = 0
        return {
          ...parser,
          decode: (part) => {
            if (typeof part === "string") return parser.decode(part)
            parts.push(part)
            size += part.length
            if (size > maxBufferSize) throw new RpcSerialization.MaxBufferSizeExceeded({ maxBufferSize })
            if (!part.includes(newline)) return []
            const whole = Buffer.concat(parts)
            parts = []
            size = 0
            return parser.decode(whole)
          }
        }
      }
    }
  })
