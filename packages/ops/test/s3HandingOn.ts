import * as http from "node:http"
import type { Answer } from "./faultyS3.ts"
import type { S3Endpoint } from "./s3Endpoint.ts"

/** These are of one connection. */
const ofConnection = new Set(["connection", "keep-alive", "transfer-encoding", "x-amz-request-id"])

/** Hands requests on to a service as they came, so that their signatures are right there, and gives what it answers. */
export const handingOn = ({ endpoint }: S3Endpoint) => {
  const agent = new http.Agent({ keepAlive: true })
  return ({ headers, method = "", url = "" }: http.IncomingMessage, body: Buffer): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const { hostname, port } = new URL(endpoint)
      const onward = http.request({ agent, hostname, port, method, path: url, headers }, (answer) => {
        const chunks: Array<Buffer> = []
        answer.on("data", (chunk: Buffer) => chunks.push(chunk))
        answer.on("error", reject)
        answer.on("end", () => {
          const kept = Object.entries(answer.headers).filter(([name]) => !ofConnection.has(name))
          resolve({
            status: answer.statusCode ?? 0,
            headers: Object.fromEntries(kept.map(([name, value]) => [name, String(value)])),
            body: Buffer.concat(chunks)
          })
        })
      })
      onward.on("error", reject)
      onward.end(body)
    })
}
