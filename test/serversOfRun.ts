import { connect } from "node:net"
import { text } from "node:stream/consumers"

/** Name of the variable with the socket at which the process that runs all tests answers. */
export const socketVariable = "FANOUT_TEST_SERVERS"

/** Where a server is that all files of tests share. It starts with the first that asks, and ends with the run. */
export const serverOfRun = async <At>(name: string): Promise<At> => {
  const answer: { readonly at: At } | { readonly why: string } = JSON.parse(
    await text(connect(process.env[socketVariable] ?? "").end(name))
  )
  if ("why" in answer) throw new Error(answer.why)
  return answer.at
}
