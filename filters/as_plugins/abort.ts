// What ends a guest that has failed: a trap. Without this function, AssemblyScript imports one from the host.
export function trap(message: string | null, file: string | null, line: u32, column: u32): void {
  unreachable();
}
