// An empty file system in memory that takes its time for each request. It is served by a process of its own, so that
// what it costs is not paid by the one that is measured; requests that come together wait together.
import { fork, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import { maxBytes, opcodes, serve } from "./fuse.ts"
import { make } from "./memoryFiles.ts"

// What is still open is broken off, so that nobody waits for an answer that can't come.
const unmountArgs = (folder: string): ReadonlyArray<string> => ["--force", "--lazy", folder]

/**
 * Mounts it over a folder and gives a function that unmounts it, or says why it can't. Requests of one kind can be left
 * without an answer. When this process ends, however
 * that happens, it is unmounted too.
 */
export const mount = async (
  folder: string,
  delayMillis: number,
  unanswered?: keyof typeof opcodes
): Promise<string | (() => void)> => {
  // A process group of its own, since it has to outlive a Ctrl-C to unmount.
  const server = fork(import.meta.filename, [folder, String(delayMillis), unanswered ?? ""], { detached: true })
  const [failure]: ReadonlyArray<unknown> = await Promise.race([once(server, "message"), once(server, "exit")])
  if (failure !== "") return `FUSE can't be used here: ${String(failure)}`
  return () => {
    spawnSync("umount", unmountArgs(folder))
    if (server.connected) server.disconnect()
  }
}

const openDevice = (): number | string => {
  try {
    return fs.openSync("/dev/fuse", "r+")
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** Mounts and serves, and tells the parent why it can't, or nothing. */
const main = async (folder: string, delayMillis: number, unanswered: string): Promise<void> => {
  const device = openDevice()
  if (typeof device === "string") {
    process.send?.(device)
    return process.disconnect()
  }
  const options = `fd=3,rootmode=40000,user_id=0,group_id=0,max_read=${maxBytes}`
  const mounting = spawn("mount", ["-i", "-t", "fuse", "-o", options, "fanout-bench", folder], {
    stdio: ["ignore", "ignore", "pipe", device]
  })
  const [errors, [status]] = await Promise.all([mounting.stderr?.toArray() ?? [], once(mounting, "exit")])
  if (status !== 0) {
    process.send?.(Buffer.concat(errors).toString().trim())
    return process.disconnect()
  }
  const unmount = (): unknown => spawn("umount", unmountArgs(folder), { stdio: "ignore" })
  process.once("uncaughtException", (error) => {
    console.error(error)
    unmount()
  })
  process.once("disconnect", unmount)
  const handlers = make()
  const silenced = Object.entries(opcodes).find(([name]) => name === unanswered)?.[1]
  serve(device, silenced === undefined ? handlers : { ...handlers, [silenced]: () => undefined }, delayMillis)
  if (process.connected) process.send?.("")
  else unmount()
}

if (import.meta.main) await main(process.argv[2] ?? "", Number(process.argv[3]), process.argv[4] ?? "")
