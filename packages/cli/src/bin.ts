/**
 * Entry of the command.
 */
import { launch } from "./Launch.ts"

await launch(() => import("./Invocation.ts"))
