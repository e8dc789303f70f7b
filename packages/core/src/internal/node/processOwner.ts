/**
 * Tells from the outside whether a process has surely ended.
 *
 * The name of a process can't be taken for that of another one: not of a process that has the same id later, nor in
 * another namespace, boot or machine. In doubt a process counts as alive, and its lease decides. So does the lease of a
 * process of another boot: virtual machines of one image have the same id and name, and each has a boot of its own.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import { Owner } from "../../OwnerLiveness.ts"
import { readText } from "./linux.ts"

/** What can be seen of a process id: no process has it, nothing is known, or when its process started. */
export type Sight = "Gone" | "Unknown" | { readonly started: string; readonly ended: boolean }

/** Whether `owner` has surely ended, as the process `self` sees it. */
export const isDead = (self: Owner, owner: Owner, look: (pid: number) => Sight): boolean => {
  if (self.machine === "" || owner.machine !== self.machine || owner.boot !== self.boot) return false
  const [, digits, started] = /^(\d+)-(\d*)$/.exec(owner.process) ?? []
  const pid = Number(digits)
  if (!(pid > 0)) return false
  const sight = look(pid)
  if (typeof sight === "string") return sight === "Gone"
  return sight.ended || (started !== "" && sight.started !== started)
}

/** Reads a line of `/proc/<pid>/stat`. The name of the program in it can hold any character, also `)`. */
export const parseStat = (line: string): Sight => {
  const fields = line.slice(line.lastIndexOf(")") + 2).trimEnd().split(" ")
  const [state = ""] = fields
  const threads = Number(fields[17])
  const started = fields[19]
  if (started === undefined) return "Unknown"
  // The first thread of a process can be a zombie while others run on.
  return { started, ended: (state === "Z" || state === "X") && threads <= 1 }
}

export const look = (pid: number): Sight => {
  const line = canReadProcesses() ? readText(`/proc/${pid}/stat`) : undefined
  if (line !== undefined) return parseStat(line)
  // `/proc` may hide the processes of other users. That there is no process only a signal tells for sure.
  try {
    process.kill(pid, 0)
    return "Unknown"
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "ESRCH" ? "Gone" : "Unknown"
  }
}

export const self = (): Owner => {
  const own = canReadProcesses() ? parseStat(readText("/proc/self/stat") ?? "") : "Unknown"
  return new Owner({
    machine: machine(),
    boot: readText("/proc/sys/kernel/random/boot_id")?.trim() ?? "",
    process: `${process.pid}-${typeof own === "string" ? "" : own.started}`
  })
}

/** Names the place in which process ids and start times are unique: machine, namespaces. Empty where unknown. */
const machine = (): string => {
  if (process.platform === "linux") {
    const namespace = link("/proc/self/ns/pid")
    if (namespace === undefined) return ""
    // A container may have no id of a machine. Its processes are only known within one boot then.
    const id = readText("/etc/machine-id")?.trim() || `boot ${readText("/proc/sys/kernel/random/boot_id")?.trim()}`
    return [id, os.hostname(), namespace, link("/proc/self/ns/time") ?? ""].join(" ")
  }
  if (process.platform !== "darwin" && process.platform !== "win32") return ""
  const addresses = Object.values(os.networkInterfaces()).flatMap((found) => found ?? [])
    .filter(({ internal }) => !internal)
    .map(({ mac }) => mac)
  return [os.hostname(), ...new Set(addresses.toSorted())].join(" ")
}

/** Whether there is a `/proc`, and it is that of the namespace in which this process has its id. */
const canReadProcesses = (): boolean => link("/proc/self") === String(process.pid)

const link = (path: string): string | undefined => {
  try {
    return fs.readlinkSync(path)
  } catch {
    return undefined
  }
}
