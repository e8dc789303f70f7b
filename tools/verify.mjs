// All checks, beside the tests: `npm run verify`. What a check says is shown once it has ended, so that no lines mix.
// Fails if any of them did; a type that is wrong ends it before the tests begin.
import { spawn } from "node:child_process"

/**
 * @param {ReadonlyArray<string>} args
 * @param {"inherit" | "pipe"} output
 * @returns {Promise<boolean>}
 */
const succeeds = (args, output) =>
  new Promise((resolve) => {
    const child = spawn("npm", ["run", "--silent", ...args], { stdio: ["ignore", output, output] })
    let said = ""
    for (const stream of [child.stdout, child.stderr]) stream?.on("data", (text) => said += text)
    child.on("close", (code) => {
      if (code !== 0 || said !== "") console.log(`\n> npm run ${args.join(" ")}\n${said}`)
      resolve(code === 0)
    })
  })

/** One after the other: lint reads what the compiler has found out. */
const checks = async () => {
  const failed = []
  for (const name of ["lint", "format:check", "unused"]) if (!await succeeds([name], "pipe")) failed.push(name)
  return failed
}

if (await succeeds(["check"], "inherit")) {
  const [failed, isTested] = await Promise.all([checks(), succeeds(["test"], "inherit")])
  for (const name of failed) console.error(`npm run ${name} found something: it is told above.`)
  if (failed.length > 0 || !isTested) process.exitCode = 1
} else process.exitCode = 1
