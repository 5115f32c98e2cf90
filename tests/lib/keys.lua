-- SPDX-License-Identifier: Apache-2.0
-- For tshark: options of IPv4 and types of IPv6's routing header are passed over by their lengths. They are of no flow's key, and it
-- stops where one is shorter than what it wants to show of it. Of UDP it is to know the tunnels alone: of two ports it asks the lower
-- first, so that a damaged one makes a tunnel another protocol.
local skipped = Proto("l7skipped", "passed over")

function skipped.dissector(octets)
	return octets:len()
end

local tables = {
	["ip.option"] = { 7, 10, 11, 25, 68, 82, 130, 131, 133, 134, 136, 137, 148, 149 },
	["ipv6.routing.type"] = { 0, 2, 3, 4, 5, 6 },
}
for name, kinds in pairs(tables) do
	for _, kind in ipairs(kinds) do
		DissectorTable.get(name):add(kind, skipped)
	end
end

local tunnels = {
	[1701] = true, [2152] = true, [3544] = true, [4789] = true, [4790] = true, [5246] = true, [5247] = true, [6081] = true,
	[8472] = true, [37008] = true,
}
local udp = DissectorTable.get("udp.port")
for port = 0, 65535 do
	local dissector = not tunnels[port] and udp:get_dissector(port)
	if dissector then
		udp:remove(port, dissector)
	end
end
