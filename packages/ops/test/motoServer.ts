import { foreignStore } from "./foreignStore.ts"

/**
 * Moto, which programs in Python are tested with in the place of AWS. It checks no signature. Later releases than that
 * of Debian check what a put replaces.
 */
export const moto = foreignStore({
  name: "Moto",
  programs: ["moto_server"],
  keys: { accessKeyId: "fanout", secretAccessKey: "secret" },
  differences: ["replaced unchecked", "sources unchecked", "parts failing"],
  script: `
    moto_server -H 127.0.0.1 -p "$1" >moto.log 2>&1 &
    echo $! >moto.pid
  `
})
